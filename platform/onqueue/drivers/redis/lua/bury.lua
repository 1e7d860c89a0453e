-- Requeue what a condemned holder held: unstarted to the front unspent, in flight before it with its attempt spent; done is removed.
-- KEYS[1] holders           {onqueue:redis}:holders
-- KEYS[2] held              {onqueue:redis}:held:<holder>
-- KEYS[3] tomb-unstarted    {onqueue:redis}:tomb-unstarted:<holder>
-- KEYS[4] tomb-unfinished   {onqueue:redis}:tomb-unfinished:<holder>
-- KEYS[5] payloads          {onqueue:redis}:payloads
-- KEYS[6] state             {onqueue:redis}:state
-- KEYS[7] ties              {onqueue:redis}:ties
-- KEYS[8] fair              {onqueue:redis}:fair
-- KEYS[9..] queues          ready, delayed and wake of each queue it holds jobs of
-- ARGV[1] holder            token
-- ARGV[2] offset            ms added to the server's clock (tests)
-- ARGV[3] kind              exit, death, timeout or lapsed
-- ARGV[4] delay             ms until the job in flight is ready again
-- ARGV[5] doom              written to its state
-- ARGV[6] guilty            a line "id delay doom" for each job that alone pays; "" when all in flight do
-- ARGV[7] desk              names and keys of what ties of done ones may change
-- ARGV[8..] names           of the queues
-- Returns -1 when the holder is not condemned, else {1 when something is left, id, queue, state, payload of each in flight}
-- Flags allow-oom
-- Includes _clock _wake _ready _postpone _remains _flying _desk _ended
if (redis.call('ZSCORE', KEYS[1], ARGV[1]) or '') ~= '-1' then return -1 end
local keys_of = {}
for at = 8, #ARGV do
  local from = 9 + (at - 8) * 3
  keys_of[ARGV[at]] = {
    ready = KEYS[from], delayed = KEYS[from + 1], wake = KEYS[from + 2], told = told_of(KEYS[8], ARGV[at]),
  }
end
local budget = give_back_unstarted({held = KEYS[2], unstarted = KEYS[3], unfinished = KEYS[4]}, keys_of, KEYS[7], KEYS[5], 100)
local flying, guilty, done, result = budget > 0 and in_flight(KEYS[4], KEYS[2]) or {}, {}, {}, {0}
for id, delay, doom in string.gmatch(ARGV[6], '(%S+) (%d+) (%S*)\n') do guilty[id] = {ARGV[3], delay, doom} end
local rest = redis.call('HGETALL', KEYS[2])
for at = 1, math.min(#rest, budget * 2), 2 do
  local id, queue = rest[at], rest[at + 1]
  local keys = keys_of[queue]
  if not keys then break end
  redis.call('HDEL', KEYS[2], id)
  if flying[id] then
    local kind, delay, doom = ARGV[3], ARGV[4], ARGV[5]
    if next(guilty) then kind, delay, doom = unpack(guilty[id] or {'exit', 0, ''}) end
    local was = spend(KEYS[6], id, kind, doom)
    if tonumber(delay) > 0 then
      postpone(keys.delayed, keys.wake, id, now_ms(ARGV[2]) + delay)
    else
      to_ready({id}, keys.ready, true)
      wake(keys.wake, 1)
    end
    for _, part in ipairs({id, queue, was, redis.call('HGET', KEYS[5], id) or ''}) do result[#result + 1] = part end
  else
    done[#done + 1] = id
  end
end
if #done > 0 then ended(done, 'succeeded', KEYS[5], KEYS[6], desk_if(KEYS[7], ARGV[7])) end
result[1] = redis.call('EXISTS', KEYS[2])
return result
