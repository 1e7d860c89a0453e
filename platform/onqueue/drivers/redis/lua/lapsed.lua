-- List holders whose lease is over or who were condemned but not buried to the end.
-- KEYS[1] holders     {onqueue:redis}:holders
-- ARGV[1] offset      ms added to the server's clock (tests)
-- ARGV[2] longest     ms: an expiry farther away comes from a clock that jumped, and is brought near
-- Returns {ms to the next expiry or -1, up to 100 holders}
-- Flags allow-oom
-- Includes _clock
local now = now_ms(ARGV[1])
local far = string.format('%.0f', now + ARGV[2])
for _, holder in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. far, '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], holder)
  redis.call('ZADD', KEYS[1], far, holder)
end
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
local coming = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local pause = coming[2] and string.format('%.0f', coming[2] - now) or '-1'
return {pause, over}
