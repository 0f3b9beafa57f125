/** The page of examples/browser in a real browser: Chromium loads it and talks to the broker over WebSocket. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { root } from '../support/source.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TextClient } from '../support/text-client.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually, within } from '../support/waiting.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const chromium = names.find(name => spawnSync(name, ['--version']).status === 0)
const skip = chromium === undefined ? `none of ${names.join(', ')} is installed` : false
const page = readFileSync(join(root, 'examples', 'browser', 'index.html'))

/** A browser with one page, which is asked by the DevTools protocol what it has. */
class Browser implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #devTools: WebSocket
  #calls = 0

  private constructor(child: ChildProcess, devTools: WebSocket) {
    this.#child = child
    this.#devTools = devTools
  }

  static async open(url: string, profile: string): Promise<Browser> {
    const flags = [
      '--headless',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      `--user-data-dir=${profile}`,
    ]
    // It refuses its sandbox to root, and has none in most containers.
    const child = spawn(chromium as string, [...flags, '--no-sandbox', '--remote-debugging-port=0', url], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own: it has many processes, which end together.
      detached: true,
    })
    process.once('exit', () => endGroup(child))
    const { host } = new URL(await within(30_000, 'the start of the browser', listening(child)))
    const target = await eventually(30_000, 'the page', async () => {
      const list = (await (await fetch(`http://${host}/json/list`)).json()) as {
        type: string
        webSocketDebuggerUrl: string
      }[]
      return list.find(({ type }) => type === 'page')
    })
    const devTools = new WebSocket(target.webSocketDebuggerUrl)
    await once(devTools, 'open')
    return new Browser(child, devTools)
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const id = ++this.#calls
    this.#devTools.send(JSON.stringify({ id, method: 'Runtime.evaluate', params: { expression, returnByValue: true } }))
    for (;;) {
      const [data] = await within(10_000, 'an answer of the page', once(this.#devTools, 'message'))
      const answer = JSON.parse(String(data))
      if (answer.id === id) return answer.result.result.value
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#devTools.terminate()
    const ended = once(this.#child, 'exit')
    endGroup(this.#child)
    await ended
  }
}

function endGroup({ pid = 0 }: ChildProcess): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Where it listens, as it says on standard error. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', text => {
      said += text
      const url = /DevTools listening on (ws:\S+)/.exec(said)?.[1]
      if (url !== undefined) resolve(url)
    })
    child.on('exit', code => reject(new Error(`the browser ended with ${code}: ${said}`)))
  })
}

describe('a browser', { skip }, () => {
  it('speaks the text protocol over WebSocket', async () => {
    await using dir = await tempDir()
    await using profile = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path, textPort: 0, httpPort: 0 })
    const server = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(page))
    await new Promise<void>(resolve => server.listen({ host: '127.0.0.1', port: 0 }, resolve))
    try {
      const { port } = server.address() as AddressInfo
      const url = `http://localhost:${port}/?ws=ws://localhost:${tidelog.httpPort}/text`
      await using browser = await Browser.open(url, profile.path)
      const status = await eventually(20_000, 'the end of its script', async () => {
        const text = await browser.evaluate("document.querySelector('#status')?.textContent")
        return text === 'connecting' ? null : text
      })
      assert.equal(status, 'connected')
      assert.deepEqual(
        await browser.evaluate("[...document.querySelectorAll('output')].map(each => each.textContent)"),
        ['OK', 'OK', 'OK the tide is high\nand turns'],
      )
    } finally {
      server.closeAllConnections()
      server.close()
    }
    await using client = await TextClient.connect(tidelog.textPort)
    assert.equal(await client.say('GET browser'), 'EMPTY', 'the page has read it by the same cursor')
  })
})
