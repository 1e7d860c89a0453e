-- Free up to 100 slots of a condemned holder and call in who waits for them.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held-slots  {onqueue:redis}:held-slots:<holder>
-- KEYS[3] lanes       {onqueue:redis}:lanes
-- ARGV[1] holder      token
-- ARGV[2] offset      ms added to the server's clock (tests)
-- Returns 1 when slots are left, 0 when there are none or it is not condemned
-- Flags allow-oom
-- Includes _clock _wake _alarm _slots
if (redis.call('ZSCORE', KEYS[1], ARGV[1]) or '') ~= '-1' then return 0 end
local now = now_ms(ARGV[2])
for _, entry in ipairs(redis.call('SPOP', KEYS[2], 100)) do
  local count, id = string.match(entry, '^(%S+) (%S+)$')
  drop_slot(count, id, ARGV[1], KEYS[3], now)
end
return redis.call('EXISTS', KEYS[2])
