-- Free the locks of a buried holder, up to 100 a call, and forget the holder with the last one.
-- KEYS[1] holders           {onqueue:redis}:holders
-- KEYS[2] held              {onqueue:redis}:held:<holder>
-- KEYS[3] tomb-unstarted    {onqueue:redis}:tomb-unstarted:<holder>
-- KEYS[4] tomb-unfinished   {onqueue:redis}:tomb-unfinished:<holder>
-- KEYS[5] held-locks        {onqueue:redis}:held-locks:<holder>
-- KEYS[6] locks             {onqueue:redis}:locks
-- KEYS[7] parked            {onqueue:redis}:parked
-- KEYS[8] payloads          {onqueue:redis}:payloads
-- KEYS[9] parking           {onqueue:redis}:parking
-- KEYS[10] idle             {onqueue:redis}:idle
-- KEYS[11] inbox            {onqueue:redis}:inbox:<holder>
-- ARGV[1] holder            token
-- ARGV[2] offset            ms added to the server's clock (tests)
-- ARGV[3] promise           ms for which a lock is kept for the woken job
-- Returns 1 when locks are left, 0 when the holder is gone, -1 when it still holds jobs or is not condemned
-- Flags allow-oom
-- Includes _alive _clock _wake _ready _unpark _locks
if (redis.call('ZSCORE', KEYS[1], ARGV[1]) or '') ~= '-1' then return -1 end
if redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
local now = now_ms(ARGV[2])
for _, lane in ipairs(redis.call('SPOP', KEYS[5], 100)) do
  local holder = string.match(redis.call('HGET', KEYS[6], lane) or '', '^(%S+)')
  if holder == ARGV[1] then hand_over(lane, KEYS[6], KEYS[7], KEYS[8], KEYS[9], now + ARGV[3]) end
end
if redis.call('EXISTS', KEYS[5]) == 1 then return 1 end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[11])
redis.call('HDEL', KEYS[10], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 0
