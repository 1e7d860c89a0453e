-- Begin a pause, change its end, or end it; who waits for that is called in to look again.
-- KEYS[1] paused      {onqueue:redis}:paused
-- KEYS[2] lanes       {onqueue:redis}:lanes
-- KEYS[3] waiters     {onqueue:redis}:waiters:p:<key>
-- ARGV[1] field       what is paused: * all, ! maintenance, /queue, j:job or t:tenant
-- ARGV[2] value       its end (ms since the epoch, 0 none), a blank and the reason; "" resumes
-- ARGV[3] offset      ms added to the server's clock (tests)
-- Returns 1 when there was such a pause, else 0
-- Flags allow-oom
-- Includes _clock _wake _alarm _pauses
local now = now_ms(ARGV[3])
local ends = tonumber(string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^%d+') or nil)
redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
set_pauses(KEYS[1], now)
call_in(KEYS[3], KEYS[2], now)
return ends and (ends == 0 or ends > now) and 1 or 0
