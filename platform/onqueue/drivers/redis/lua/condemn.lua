-- End a holder's lease for good; from here on nothing it sends has an effect, marks included.
-- KEYS[1] holders           {onqueue:redis}:holders
-- KEYS[2] held              {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted         {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished        {onqueue:redis}:unfinished:<holder>
-- KEYS[5] tomb-unstarted    {onqueue:redis}:tomb-unstarted:<holder>
-- KEYS[6] tomb-unfinished   {onqueue:redis}:tomb-unfinished:<holder>
-- KEYS[7] idle              {onqueue:redis}:idle
-- ARGV[1] holder            token
-- ARGV[2] offset            ms added to the server's clock (tests)
-- ARGV[3] if-over           1 only if its lease has run out
-- Returns -1 when there is no such holder (or it is not over), else the queues of what it holds
-- Flags allow-oom
-- Includes _clock
local expiry = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or nil)
if not expiry or (ARGV[3] == '1' and expiry > now_ms(ARGV[2])) then return -1 end
if expiry >= 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZADD', KEYS[1], -1, ARGV[1])
  redis.call('HDEL', KEYS[7], ARGV[1])
  for at = 3, 4 do
    if redis.call('EXISTS', KEYS[at]) == 1 then redis.call('RENAME', KEYS[at], KEYS[at + 2]) end
  end
end
local queues, known = {}, {}
for _, queue in ipairs(redis.call('HVALS', KEYS[2])) do
  if not known[queue] then
    known[queue] = true
    queues[#queues + 1] = queue
  end
end
return queues
