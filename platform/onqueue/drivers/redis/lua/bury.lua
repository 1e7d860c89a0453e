-- Requeue what a condemned holder held: unstarted to the front unspent, in flight before it with its attempt spent; done is removed.
-- KEYS[1] holders           {onqueue:redis}:holders
-- KEYS[2] held              {onqueue:redis}:held:<holder>
-- KEYS[3] tomb-unstarted    {onqueue:redis}:tomb-unstarted:<holder>
-- KEYS[4] tomb-unfinished   {onqueue:redis}:tomb-unfinished:<holder>
-- KEYS[5] payloads          {onqueue:redis}:payloads
-- KEYS[6] state             {onqueue:redis}:state
-- KEYS[7..] queues          ready, delayed and wake of each queue it holds jobs of
-- ARGV[1] holder            token
-- ARGV[2] offset            ms added to the server's clock (tests)
-- ARGV[3] kind              exit, death, timeout or lapsed
-- ARGV[4] delay             ms until the job in flight is ready again
-- ARGV[5] doom              written to its state
-- ARGV[6..] names           of the queues
-- Returns -1 when the holder is not condemned, else {1 when something is left, id, queue, state, payload of each in flight}
-- Flags allow-oom
-- Includes _clock _wake _postpone _remains
if (redis.call('ZSCORE', KEYS[1], ARGV[1]) or '') ~= '-1' then return -1 end
local keys_of = {}
for at = 6, #ARGV do
  local from = 7 + (at - 6) * 3
  keys_of[ARGV[at]] = {ready = KEYS[from], delayed = KEYS[from + 1], wake = KEYS[from + 2]}
end
local budget = give_back_unstarted({held = KEYS[2], unstarted = KEYS[3], unfinished = KEYS[4]}, keys_of, 100)
local flying, result = {}, {0}
for _, id in ipairs(redis.call('LRANGE', KEYS[4], 0, -1)) do flying[id] = true end
local rest = redis.call('HGETALL', KEYS[2])
for at = 1, math.min(#rest, budget * 2), 2 do
  local id, queue = rest[at], rest[at + 1]
  local keys = keys_of[queue]
  if not keys then break end
  redis.call('HDEL', KEYS[2], id)
  if flying[id] then
    local was = spend(KEYS[6], id, ARGV[3], ARGV[5])
    if tonumber(ARGV[4]) > 0 then
      postpone(keys.delayed, keys.wake, id, now_ms(ARGV[2]) + ARGV[4])
    else
      redis.call('LPUSH', keys.ready, id)
      wake(keys.wake, 1)
    end
    for _, part in ipairs({id, queue, was, redis.call('HGET', KEYS[5], id) or ''}) do result[#result + 1] = part end
  else
    redis.call('HDEL', KEYS[5], id)
    redis.call('HDEL', KEYS[6], id)
  end
end
result[1] = redis.call('EXISTS', KEYS[2])
return result
