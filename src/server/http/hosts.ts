/**
 * Who may be meant by a request's Host header. A page in somebody's browser can be made to ask this machine under a name
 * that its author owns (DNS rebinding), and would then read the answers as its own: so that only names of ours are answered
 * to. An address cannot be rebound, and is always one.
 */
import { isIP } from 'node:net'

export class AllowedHosts {
  readonly #names: ReadonlySet<string>

  constructor(names: Iterable<string>) {
    this.#names = new Set([...names].map(normal))
  }

  /** `header` with or without a port; IPv6 in brackets. What has no Host header comes from no browser. */
  allows(header: string | undefined): boolean {
    if (header === undefined) return true
    const host = hostOf(header)
    return host !== null && this.#allowsName(host)
  }

  /** Of a WebSocket: browsers let every page open one, and say which page it was. Programs say nothing. */
  allowsOrigin(header: string | undefined): boolean {
    if (header === undefined) return true
    const host = /^https?:\/\/([^/?#@]+)$/i.exec(header)?.[1]
    return host !== undefined && this.allows(host)
  }

  #allowsName(host: string): boolean {
    if (host.startsWith('[')) return isIP(host.slice(1, -1)) === 6
    return isIP(host) === 4 || host === 'localhost' || host.endsWith('.localhost') || this.#names.has(host)
  }
}

function hostOf(header: string): string | null {
  const host = /^(\[[0-9a-f:.]+\]|[^:@/\\?#\s]+)(?::\d{1,5})?$/i.exec(header.trim())?.[1]
  return host === undefined ? null : normal(host)
}

/** A name may end with the root's dot. */
function normal(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}
