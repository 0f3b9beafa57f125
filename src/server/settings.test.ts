import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readSettings, type SettingSources, type Settings } from './settings.ts'

/** What a test sets; flags as `--name value` pairs without the dashes. */
interface Given {
  readonly flags?: Readonly<Record<string, string | string[]>>
  readonly environment?: Readonly<Record<string, string>>
  readonly file?: string
}

function sources({ flags = {}, environment = {}, file }: Given): SettingSources {
  const all = file === undefined ? flags : { ...flags, config: 'tidelog.conf' }
  return {
    flags: new Map(Object.entries(all).map(([name, texts]) => [name, [texts].flat()])),
    environment,
    readFile: path => {
      if (file === undefined || path !== 'tidelog.conf') throw new Error(`no such file: ${path}`)
      return file
    },
  }
}

const read = (given: Given): Settings => readSettings(sources(given))

function assertWrong(given: Given, message: RegExp): void {
  assert.throws(() => read(given), { name: 'TidelogError', code: 'CONFIG', exitCode: 78, message })
  assert.throws(
    () => read(given),
    ({ message: text }: Error) => !text.includes('\n'),
  )
}

describe('settings', () => {
  it('have defaults', () => {
    const { broker, ...rest } = read({})
    assert.deepEqual(rest, {
      dataDir: './data',
      host: 'localhost',
      advertise: null,
      port: 9092,
      textPort: { port: 9091, isGiven: false },
      httpPort: { port: 8080, isGiven: false },
      httpNames: [],
      insecureListen: false,
      acceptDataLoss: false,
      logLevel: 'info',
    })
    assert.equal(broker.given.size, 0)
  })

  it('come from a flag before the environment, from that before the file', () => {
    const file = 'port=1\ntext-port=1\nhttp-port=1'
    const environment = { TIDELOG_PORT: '2', TIDELOG_TEXT_PORT: '2' }
    const { port, textPort, httpPort } = read({ file, environment, flags: { port: '3' } })
    assert.deepEqual([port, textPort?.port, httpPort?.port], [3, 2, 1])
  })

  it('close the doors that are not wanted, and know whether a port was asked for', () => {
    assert.equal(read({ flags: { 'http-port': 'off' } }).httpPort, null)
    assert.deepEqual(read({ flags: { 'http-port': '8080' } }).httpPort, { port: 8080, isGiven: true })
    assert.deepEqual(read({ environment: { TIDELOG_TEXT_PORT: '0' } }).textPort, { port: 0, isGiven: true })
    assertWrong({ flags: { 'text-port': 'none' } }, /--text-port: 'none' must be a port from 0 to 65535, or off/)
    assertWrong({ flags: { port: 'off' } }, /--port: 'off' must be a port/)
  })

  it('take names for HTTP', () => {
    assert.deepEqual(read({ flags: { 'http-names': 'Broker.Example, tidelog' } }).httpNames, [
      'broker.example',
      'tidelog',
    ])
    assertWrong({ flags: { 'http-names': 'broker:8080' } }, /--http-names: 'broker:8080' must be host names/)
  })

  it('give each broker config that order of its own', () => {
    const { broker } = read({
      file: 'num.partitions=1\nlog.retention.ms=1\nlog.segment.bytes=2000000',
      environment: { TIDELOG_NUM_PARTITIONS: '2', TIDELOG_LOG_RETENTION_MS: '2' },
      flags: { set: ['num.partitions=3'] },
    })
    assert.deepEqual(Object.fromEntries(broker.given), {
      'num.partitions': '3',
      'log.retention.ms': '2',
      'log.segment.bytes': '2000000',
    })
    assert.equal(broker.settings.partitionsDefault, 3)
  })

  it('are read from a JSON file, broker configs by name or under set', () => {
    const file = JSON.stringify({
      port: 0,
      'insecure-listen': true,
      host: '0.0.0.0',
      'num.partitions': 4,
      set: { 'log.retention.ms': 1000 },
    })
    const settings = read({ file })
    assert.equal(settings.port, 0)
    assert.equal(settings.host, '0.0.0.0')
    assert.deepEqual(Object.fromEntries(settings.broker.given), { 'num.partitions': '4', 'log.retention.ms': '1000' })
  })

  it('are read from a file of lines with comments, spaces and Windows line ends', () => {
    const file = '# what a comment says\r\n! and another\r\n\r\n  port = 1234 \r\nset=num.partitions=2\r\n'
    const settings = read({ file })
    assert.equal(settings.port, 1234)
    assert.equal(settings.broker.settings.partitionsDefault, 2)
  })

  it('take the file from the environment, too', () => {
    const base = sources({ file: 'port=7' })
    const settings = readSettings({ ...base, flags: new Map(), environment: { TIDELOG_CONFIG: 'tidelog.conf' } })
    assert.equal(settings.port, 7)
  })

  it('take several broker configs from one variable, whose values may hold commas', () => {
    const environment = { TIDELOG_SET: 'num.partitions=2,log.cleanup.policy=delete,broker.rack=a,b' }
    assert.deepEqual(Object.fromEntries(read({ environment }).broker.given), {
      'num.partitions': '2',
      'log.cleanup.policy': 'delete',
      'broker.rack': 'a,b',
    })
  })

  it('do not double our own prefix in the environment', () => {
    const environment = { TIDELOG_JOURNAL_BYTES: '134217728' }
    assert.equal(read({ environment }).broker.given.get('tidelog.journal.bytes'), '134217728')
  })

  it('take an empty variable for an unset one and leave other programs’ variables alone', () => {
    assert.equal(read({ environment: { TIDELOG_PORT: '', PORT: '1' } }).port, 9092)
  })
})

describe('unknown names are errors that suggest the nearest', () => {
  it('in the environment', () => {
    assertWrong(
      { environment: { TIDELOG_DATADIR: 'x' } },
      /TIDELOG_DATADIR is not known; did you mean TIDELOG_DATA_DIR\?/,
    )
    assertWrong({ environment: { TIDELOG_NUM_PARTITION: '1' } }, /did you mean TIDELOG_NUM_PARTITIONS\?/)
  })

  it('in the file', () => {
    assertWrong({ file: 'prot=1' }, /'prot' in tidelog\.conf is not known; did you mean port\?/)
    assertWrong({ file: '{"log.retention.sm": 1}' }, /did you mean log\.retention\.ms\?/)
    assertWrong({ file: 'config=other' }, /'config' in tidelog\.conf is not known/)
  })

  it('among broker configs', () => {
    assertWrong({ flags: { set: 'num.partitons=1' } }, /num\.partitons.*did you mean num\.partitions\?/)
  })

  it('even where nothing is near', () => {
    assertWrong({ environment: { TIDELOG_XYZZY_PLUGH: '1' } }, /TIDELOG_XYZZY_PLUGH is not known$/)
  })
})

describe('wrong values are refused with the place they come from', () => {
  const cases: Record<string, [Given, RegExp]> = {
    'a port that is no number': [{ flags: { port: 'http' } }, /^--port: 'http' must be a port/],
    'a port out of range': [{ environment: { TIDELOG_PORT: '65536' } }, /^TIDELOG_PORT: '65536' must be a port/],
    'a negative port': [{ file: 'port=-1' }, /^port in tidelog\.conf: '-1' must be a port/],
    'an advertised address without a port': [{ flags: { advertise: 'broker' } }, /HOST:PORT/],
    'an advertised port 0': [{ flags: { advertise: 'broker:0' } }, /HOST:PORT/],
    'an IPv6 address without brackets': [{ flags: { advertise: '::1:9092' } }, /HOST:PORT/],
    'a switch that is neither true nor false': [{ environment: { TIDELOG_INSECURE_LISTEN: 'yes' } }, /true or false/],
    'a log level': [{ flags: { 'log-level': 'loud' } }, /must be one of fatal, error/],
    'an empty folder': [{ flags: { 'data-dir': ' ' } }, /no folder/],
    'a host with a path': [{ flags: { host: 'http://x' } }, /no host name/],
    'a config without a value': [{ flags: { set: 'num.partitions' } }, /--set: 'num.partitions' must have the form/],
    'a config with a wrong value': [{ flags: { set: 'num.partitions=none' } }, /whole number/],
    'a line without =': [{ file: 'port=1\nport' }, /line 2: 'port' must have the form/],
    'broken JSON': [{ file: '{"port": 1' }, /is not JSON/],
    'a JSON value that is a list': [{ file: '{"port": [1]}' }, /port must be a text/],
    'a missing file': [{ flags: { config: 'nowhere' } }, /config file nowhere: cannot be read \(no such file/],
  }
  for (const [name, [given, message]] of Object.entries(cases)) it(name, () => assertWrong(given, message))

  it('all of them at once, on one line', () => {
    assertWrong({ flags: { port: 'x', host: 'a b', set: 'nosuch.config.name=1' } }, /--host.*--port.*nosuch/)
  })

  it('a broker config named __proto__ is only an unknown name', () => {
    assertWrong({ file: '{"__proto__": 1}' }, /__proto__/)
    assertWrong({ flags: { set: '__proto__=1' } }, /__proto__/)
  })
})

describe('a host that others can reach', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1', '[::1]']) {
    it(`${host} is loopback`, () => void read({ flags: { host } }))
  }
  for (const host of ['0.0.0.0', '::', '192.168.1.1', 'broker.example', '127.evil.example']) {
    it(`${host} needs --insecure-listen`, () => {
      assertWrong({ flags: { host } }, /--insecure-listen/)
      assert.equal(read({ flags: { host, 'insecure-listen': 'true' } }).host, host)
    })
  }
})

describe('an advertised address', () => {
  it('is a name, an IPv4 or a bracketed IPv6 address with a port', () => {
    assert.deepEqual(read({ flags: { advertise: 'broker.example:19092' } }).advertise, {
      host: 'broker.example',
      port: 19092,
    })
    assert.deepEqual(read({ flags: { advertise: '[fe80::1]:1' } }).advertise, { host: 'fe80::1', port: 1 })
  })
})
