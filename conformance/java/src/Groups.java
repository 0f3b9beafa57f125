import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** Groups: the members that live in this process, and what an administrator does to a group from outside. */
final class Groups {
  private static final Map<String, Object> DONE = Map.of();
  private final Client client;
  private final Map<String, Member> members = new HashMap<>();

  Groups(Client client) {
    this.client = client;
  }

  Object join(Request request) {
    String name = "member-" + (members.size() + 1);
    Member member = new Member(name, client, request);
    members.put(name, member);
    client.onClose(member::leaveSoon);
    return Map.of("member", name);
  }

  Object assignment(Request request) throws Exception {
    return member(request).assignment();
  }

  Object received(Request request) throws Exception {
    return Map.of("records", member(request).received());
  }

  Object seek(Request request) throws Exception {
    member(request).seek(request.topicPartition(), request.longNumber("offset"));
    return DONE;
  }

  Object leave(Request request) throws Exception {
    member(request).leave();
    return DONE;
  }

  Object commit(Request request) throws Exception {
    OffsetAndMetadata offset = new OffsetAndMetadata(request.longNumber("offset"), request.text("metadata"));
    Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(request.topicPartition(), offset);
    client.admin().alterConsumerGroupOffsets(request.text("group"), offsets).all().get();
    return DONE;
  }

  Object committed(Request request) throws Exception {
    OffsetAndMetadata committed =
        client.admin()
            .listConsumerGroupOffsets(request.text("group"))
            .partitionsToOffsetAndMetadata()
            .get()
            .get(request.topicPartition());
    if (committed == null) return Map.of("offset", -1, "metadata", "");
    return Map.of("offset", committed.offset(), "metadata", committed.metadata());
  }

  @SuppressWarnings("removal")
  Object describe(Request request) throws Exception {
    String group = request.text("group");
    ConsumerGroupDescription described =
        client.admin().describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
    return Map.of("state", described.state().toString(), "members", described.members().size());
  }

  @SuppressWarnings("removal")
  Object list(Request request) throws Exception {
    return Map.of(
        "groups", client.admin().listConsumerGroups().all().get().stream().map(ConsumerGroupListing::groupId).toList());
  }

  Object delete(Request request) throws Exception {
    client.admin().deleteConsumerGroups(List.of(request.text("group"))).all().get();
    return DONE;
  }

  private Member member(Request request) {
    Member member = members.get(request.text("member"));
    if (member == null) throw new IllegalArgumentException("no such member: " + request.text("member"));
    return member;
  }
}
