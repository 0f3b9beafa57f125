/** The name that somebody who typed `name` probably meant; null when nothing is near. For messages about unknown settings. */
export function nearestName(name: string, candidates: Iterable<string>): string | null {
  // Nobody mistypes that much; and the comparison takes the product of both lengths.
  if (name.length > nameLengthMax) return null
  const wanted = name.toLowerCase()
  let nearest: string | null = null
  let nearestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) >= nearestDistance) continue
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance >= nearestDistance) continue
    nearest = candidate
    nearestDistance = distance
  }
  return nearest
}

const nameLengthMax = 60

/** How many letters must be put in, taken out, replaced or swapped with their neighbour to get from one to the other. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = last[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      let least = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1)
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (swapped) least = Math.min(least, beforeLast[j - 2]! + 1)
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[to.length]!
}
