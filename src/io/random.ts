/** Chance as an argument: the machine's in production, seeded in the simulator. */
export interface Random {
  bytes(length: number): Buffer
}
