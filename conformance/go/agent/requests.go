package agent

// What the harness asks, in the words of PROTOCOL.md. A field that is no pointer must be in the request.

type topicRequest struct {
	Topic string `json:"topic"`
}

type createTopicRequest struct {
	Topic      string            `json:"topic"`
	Partitions int32             `json:"partitions"`
	Configs    map[string]string `json:"configs"`
}

type createPartitionsRequest struct {
	Topic string `json:"topic"`
	Total int32  `json:"total"`
}

type alterConfigsRequest struct {
	Topic string            `json:"topic"`
	Set   map[string]string `json:"set"`
}

type describeConfigsRequest struct {
	Topic string   `json:"topic"`
	Names []string `json:"names"`
}

type deleteRecordsRequest struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Before    int64  `json:"before"`
}

type produceRequest struct {
	Topic      string `json:"topic"`
	Codec      string `json:"codec"`
	Acks       int16  `json:"acks"`
	Idempotent bool   `json:"idempotent"`
	Records    []struct {
		Partition   int32        `json:"partition"`
		Key         *string      `json:"key"`
		Value       *string      `json:"value"`
		ValueBytes  *int         `json:"valueBytes"`
		Headers     *[][2]string `json:"headers"`
		TimestampMs *int64       `json:"timestamp"`
	} `json:"records"`
}

type produceManyRequest struct {
	Topic      string `json:"topic"`
	Partitions int32  `json:"partitions"`
	Count      int    `json:"count"`
	ValueBytes int    `json:"valueBytes"`
	Codec      string `json:"codec"`
	Idempotent bool   `json:"idempotent"`
}

type consumeRequest struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	Count     int    `json:"count"`
	TimeoutMs int    `json:"timeoutMs"`
}

type countAllRequest struct {
	Topic      string `json:"topic"`
	Partitions int32  `json:"partitions"`
	Expected   int    `json:"expected"`
	TimeoutMs  int    `json:"timeoutMs"`
}

type offsetsRequest struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	At        any    `json:"at"`
}

type joinRequest struct {
	Group            string   `json:"group"`
	Topics           []string `json:"topics"`
	SessionTimeoutMs int      `json:"sessionTimeoutMs"`
	InstanceID       *string  `json:"instanceId"`
	Assignor         string   `json:"assignor"`
	Commit           bool     `json:"commit"`
}

type memberRequest struct {
	Member string `json:"member"`
}

type seekRequest struct {
	Member    string `json:"member"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

type commitRequest struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Metadata  string `json:"metadata"`
}

type committedRequest struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

type groupRequest struct {
	Group string `json:"group"`
}
