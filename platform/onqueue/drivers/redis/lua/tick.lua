-- Settle a tick of a schedule's entry and, where one is given, push its job: both or nothing.
-- KEYS[1] leader    {onqueue:redis}:schedule:leader
-- KEYS[2] entry     {onqueue:redis}:schedule:entry:report
-- KEYS[3] history   {onqueue:redis}:schedule:history:report
-- KEYS[4] orders    {onqueue:redis}:schedule:orders
-- KEYS[5] entries   {onqueue:redis}:schedule:entries
-- KEYS[6] payloads  {onqueue:redis}:payloads
-- KEYS[7] ready     {onqueue:redis}:ready:default
-- KEYS[8] wake      {onqueue:redis}:wake:default
-- KEYS[9] queues    {onqueue:redis}:queues
-- ARGV[1] token     of the process that leads
-- ARGV[2] guard     last, held, opened or order
-- ARGV[3] value     what the guard is compared with
-- ARGV[4] name      of the entry
-- ARGV[5] queue     of the job
-- ARGV[6] job       its id, empty without a job
-- ARGV[7] payload   of the job
-- ARGV[8] kept      records the history may have
-- ARGV[9] changes   how many arguments after this are fields of the entry with their values
-- ARGV[10..] rest   these, then records for the history, the oldest first
-- Returns 1 done, 0 settled before, -1 another process leads
-- Flags none
-- Includes _wake _ready
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return -1 end
if ARGV[2] == 'last' then
  local last = redis.call('HGET', KEYS[2], ARGV[2])
  if last and tonumber(last) >= tonumber(ARGV[3]) then return 0 end
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
  redis.call('SADD', KEYS[5], ARGV[4])
elseif ARGV[2] == 'order' then
  if redis.call('HDEL', KEYS[4], ARGV[3]) == 0 then return 0 end
else
  if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then return 0 end
  redis.call('HDEL', KEYS[2], ARGV[2])
end
if ARGV[6] ~= '' and redis.call('HSETNX', KEYS[6], ARGV[6], ARGV[7]) == 1 then
  to_ready({ARGV[6]}, KEYS[7], false)
  redis.call('SADD', KEYS[9], ARGV[5])
  wake(KEYS[8], 1)
end
local records = 10 + ARGV[9]
for at = 10, records - 1, 2 do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
end
for at = records, #ARGV do
  redis.call('LPUSH', KEYS[3], ARGV[at])
end
redis.call('LTRIM', KEYS[3], 0, ARGV[8] - 1)
return 1
