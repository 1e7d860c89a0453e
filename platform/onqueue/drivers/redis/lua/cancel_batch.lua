-- Cancel a batch: its members end unrun from here on when they are picked.
-- KEYS[1] batch       {onqueue:redis}:batch:<id>
-- ARGV[1] offset      ms added to the server's clock (tests)
-- Returns 1 cancelled, 0 it has ended, is unknown or was cancelled before
-- Flags allow-oom
-- Includes _clock
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local over, cancelled = unpack(redis.call('HMGET', KEYS[1], 'finished_at', 'cancelled_at'))
if over or cancelled then return 0 end
redis.call('HDEL', KEYS[1], 'cause')
redis.call('HSET', KEYS[1], 'cancelled_at', string.format('%.0f', now_ms(ARGV[1])), 'cause', 'user')
return 1
