-- Store jobs of one queue that are due later; a repetition of the last push is answered, not redone.
-- KEYS[1] payloads   {onqueue:redis}:payloads
-- KEYS[2] delayed    {onqueue:redis}:delayed:default
-- KEYS[3] wake       {onqueue:redis}:wake:default
-- KEYS[4] queues     {onqueue:redis}:queues
-- KEYS[5] pusher     {onqueue:redis}:pusher:5f0c:0
-- KEYS[6] ties       {onqueue:redis}:ties
-- KEYS[7] fair       {onqueue:redis}:fair
-- KEYS[8..] seen     {onqueue:redis}:seen:<id>, one a job, only when pushed once
-- ARGV[1] queue      its name
-- ARGV[2] sequence   number of this push of this pusher
-- ARGV[3] repeated   1 when an earlier answer to this sequence was lost, else 0
-- ARGV[4] once       ms for which an id is refused again
-- ARGV[5] offset     ms added to the server's clock (tests)
-- ARGV[6] tied       1 when each has a tie, else 0
-- ARGV[7] lanes      what the keys of its lanes begin with, its ring and its shares, a line each, when payloads tell any, else ""
-- ARGV[8..] jobs     id, payload, delay in ms and, when tied, tie of each, "" when the payload tells its lane
-- Returns how many were new, -2 when an earlier attempt had stored them
-- Flags none
-- Includes _clock _wake _postpone
if ARGV[3] == '1' and redis.call('GET', KEYS[5]) == ARGV[2] then
  return -2
end
local now, new, stride = now_ms(ARGV[5]), 0, 3 + ARGV[6]
if ARGV[7] ~= '' then redis.call('HSET', KEYS[7], ARGV[1], ARGV[7]) end
for at = 8, #ARGV, stride do
  local id, seen = ARGV[at], KEYS[8 + (at - 8) / stride]
  if not seen or redis.call('SET', seen, '1', 'NX', 'PX', ARGV[4]) then
    if redis.call('HSETNX', KEYS[1], id, ARGV[at + 1]) == 1 then
      postpone(KEYS[2], KEYS[3], id, now + ARGV[at + 2])
      if stride == 4 and ARGV[at + 3] ~= '' then redis.call('HSET', KEYS[6], id, ARGV[at + 3]) end
      new = new + 1
    end
  end
end
if new > 0 then
  redis.call('SADD', KEYS[4], ARGV[1])
end
redis.call('SET', KEYS[5], ARGV[2], 'EX', 60)
return new
