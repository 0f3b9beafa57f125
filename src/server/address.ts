/** Host and port as people write them and as sockets report them. */
import { isIPv4, isIPv6 } from 'node:net'

export interface Address {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

/** `host:port` with a port that clients can connect to; null for anything else. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text)
  const [, v6, plain, digits] = match ?? []
  const host = v6 ?? plain
  const port = Number(digits)
  if (host === undefined || port === 0 || port > 65_535 || (v6 !== undefined && !isIPv6(v6))) return null
  return { host, port }
}

export function addressText({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/** Whether only this machine reaches it. A name other than `localhost` may resolve to anything, so it does not count. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return host.toLowerCase() === 'localhost' || host === '::1'
}

/** A socket bound to both families reports IPv4 peers as `::ffff:1.2.3.4`, which no client could be told. */
export function plainHost(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1]
  return mapped ?? host
}

/** An address in the form in which Java prints it, and so Kafka tells it: `/192.0.2.1`, `/2001:db8:0:0:0:0:0:1`. */
export function kafkaHost(host: string): string {
  if (!isIPv6(host)) return `/${host}`
  const [address = '', zone] = host.split('%')
  const [head = [], tail = []] = address.split('::').map(part => part.split(':').filter(Boolean))
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return `/${[...head, ...zeros, ...tail].join(':')}${zone === undefined ? '' : `%${zone}`}`
}
