import { createHash } from 'node:crypto'

/** A script and its hash, by which a server that has run it before knows it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') })

/** The length in bytes of the version at the start of each row's value. */
export const versionBytes = 16

/** How long the number of a writer's last commit is kept, in ms: a process that holds a lock writes far more often. */
const remembered = 86_400_000

/** Reads the time in ms, and refuses if it is past `ARGV[1]`: a command must not be carried out after its caller has given up. */
const onTime = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[1]) then return { 'late', now } end`

/** Returns the time in ms, the server's memory limit and its eviction policy, as far as our user may read them. KEYS: any key of the store. */
export const openScript = script(`
local time = redis.call('TIME')
local info = redis.pcall('INFO', 'memory')
if type(info) ~= 'string' then info = '' end
return { time[1] * 1000 + math.floor(time[2] / 1000), string.match(info, 'maxmemory:(%d+)') or '0', string.match(info, 'maxmemory_policy:([%a-]+)') or '' }`)

/**
 * Writes rows if every row that was seen still has its version.
 *
 * KEYS: the indexes of keys, of keys in use, of sessions and of their expiry times; the number of the writer's last commit; then for each row to write
 * its key and its fence's; then the keys of rows that were only read.
 * ARGV: the latest time; the new version; the commit's number, and the highest confirmed number; how many rows to write; for each of them the version
 * seen, what to do, its name, its text, and for a record its fence, for a session its expiry time; then the versions of the rows that were only read.
 */
export const commitScript = script(`${onTime}
local call, keys, args = redis.call, KEYS, ARGV
local version, number = args[2], tonumber(args[3])
-- A confirmed commit is missing: the server has gone back to an older state.
local last = tonumber(call('GET', keys[5]) or '0')
if last < tonumber(args[4]) then return { 'back', now } end
local writes = tonumber(args[5])
for row = 0, writes - 1 do
  local found = call('GETRANGE', keys[6 + 2 * row], 0, ${versionBytes - 1})
  if found ~= args[6 + 5 * row] then
    -- This is the same commit again, because its answer was lost.
    if found == version then return { 'done', now } end
    return { 'changed', now }
  end
end
for read = 6 + 5 * writes, #args do
  if call('GETRANGE', keys[read - 3 * writes], 0, ${versionBytes - 1}) ~= args[read] then return { 'changed', now } end
end
for row = 0, writes - 1 do
  local key, fence = keys[6 + 2 * row], keys[7 + 2 * row]
  local at = 6 + 5 * row
  local seen, what, name, text, more = args[at], args[at + 1], args[at + 2], args[at + 3], args[at + 4]
  if what == 'drop' then
    call('DEL', key, fence)
    call('ZREM', keys[1], name)
    call('ZREM', keys[2], name)
  elseif what == 'end' then
    call('DEL', key)
    call('ZREM', keys[3], name)
    call('ZREM', keys[4], name)
  else
    call('SET', key, version .. text)
    if what == 'busy' or what == 'idle' then
      if seen == '' then call('ZADD', keys[1], 0, name) end
      if what == 'busy' then call('ZADD', keys[2], 0, name) else call('ZREM', keys[2], name) end
      -- Clients may watch the fence, so it is written only if the holders change.
      if more == '' then call('DEL', fence)
      elseif call('GET', fence) ~= more then call('SET', fence, more) end
    elseif what == 'session' then
      if seen == '' then call('ZADD', keys[3], 0, name) end
      call('ZADD', keys[4], more, name)
    end
  end
end
call('SET', keys[5], math.max(last, number), 'PX', ${remembered})
return { 'done', now }`)

/** Members of an index that start with a prefix. KEYS: the index. ARGV: where to begin, the prefix, how many. */
export const keysScript = script(`return redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '(' .. ARGV[2] .. '\\255', 'LIMIT', 0, ARGV[3])`)

/**
 * Sessions' rows. KEYS: the indexes of sessions and of their expiry times. ARGV: the prefix of their rows' keys, how many, `past` or `after`, a time
 * or an id.
 */
export const staleScript = script(`
local ids
if ARGV[3] == 'past' then
  ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[4], 'LIMIT', 0, ARGV[2])
else
  ids = redis.call('ZRANGEBYLEX', KEYS[1], '(' .. ARGV[4], '+', 'LIMIT', 0, ARGV[2])
  if #ids < tonumber(ARGV[2]) then
    for _, id in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], '-', '[' .. ARGV[4], 'LIMIT', 0, ARGV[2] - #ids)) do table.insert(ids, id) end
  end
end
local rows = {}
for _, id in ipairs(ids) do
  local row = redis.call('GET', ARGV[1] .. id)
  if row then
    table.insert(rows, id)
    table.insert(rows, row)
  end
end
return rows`)

/**
 * The Lua function that a script of your own calls first: `local lost = storelock_lost(KEYS[1], ARGV[1], ARGV[2])`, then
 * `if lost then return lost end`.
 * `RedisStore.fence` returns the key and the two arguments.
 */
export const redisFence = `
local function storelock_lost(fence, session, token)
  for from, to, holder in string.gmatch(redis.call('GET', fence) or '', '(%d+) (%d+) ([^\\n]*)\\n') do
    if holder == session and tonumber(from) <= tonumber(token) and tonumber(token) <= tonumber(to) then return false end
  end
  return redis.error_reply('LOST the lock is not held by this session with this token')
end`

/**
 * Runs the user's commands if the locks are held.
 *
 * KEYS: the locks' fences. ARGV: the latest time; each lock's session and token; then for each command the number of its arguments, and the
 * arguments.
 */
export const fencedScript = script(`${redisFence}
${onTime}
for lock, fence in ipairs(KEYS) do
  if storelock_lost(fence, ARGV[2 * lock], ARGV[2 * lock + 1]) then return { 'lost', now, lock } end
end
local replies = {}
local at = 2 * #KEYS + 2
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local reply = redis.pcall(unpack(ARGV, at + 1, at + count))
  if type(reply) == 'table' and reply.err then return { 'refused', now, reply.err, #replies } end
  table.insert(replies, reply)
  at = at + count + 1
end
return { 'done', now, replies }`)
