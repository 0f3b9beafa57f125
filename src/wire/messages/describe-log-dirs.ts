/**
 * DescribeLogDirs (35): how much of which disk the partitions take.
 *
 * - 1: the lowest version; throttling begins after the response was sent. 2: flexible. 3: an error for the whole answer.
 * - 4: size of the disk and what is left of it. 5: whether the directory takes no new partitions (KIP-1066).
 */
import {
  array,
  type Body,
  bool,
  type Draft,
  int16,
  int32,
  int64,
  message,
  nullableArray,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const describeLogDirsRequest = message({
  name: 'DescribeLogDirsRequest',
  apiKey: 35,
  versions: [1, 5],
  flexibleSince: 2,
  body: {
    topics: nullableArray(struct({ topic: string, partitions: array(int32) })),
  },
})

export const describeLogDirsResponse = message({
  name: 'DescribeLogDirsResponse',
  apiKey: 35,
  versions: [1, 5],
  flexibleSince: 2,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    errorCode: since(3, int16, 0),
    results: array(
      struct({
        errorCode: int16,
        logDir: string,
        topics: array(
          struct({
            name: string,
            partitions: array(
              struct({ partitionIndex: int32, partitionSize: int64, offsetLag: int64, isFutureKey: bool }),
            ),
          }),
        ),
        totalBytes: since(4, int64, -1),
        usableBytes: since(4, int64, -1),
        isCordoned: since(5, bool, false),
      }),
    ),
  },
})

export type DescribeLogDirsRequest = Body<typeof describeLogDirsRequest>
export type DescribeLogDirsResponse = Draft<typeof describeLogDirsResponse>
