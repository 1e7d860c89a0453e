-- Set an alarm on or off, and tell one of all who ask whether it changed.
-- KEYS[1] alarms  {onqueue:redis}:alarms
-- ARGV[1] name    of the alarm
-- ARGV[2] on      1 when it is on, 0 when it is off
-- ARGV[3] offset  ms added to the server's clock (tests)
-- ARGV[4] remind  ms after which an alarm that stays on is told again, 0 never
-- ARGV[5] token   of this question: whoever asks it again gets the same answer
-- Returns 0 nothing to tell, 1 it went on, 2 it is still on and to be told again, 3 it went off
-- Flags allow-oom
-- Includes _clock
local now = now_ms(ARGV[3])
local told, code, token = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '0 3 -', '^(%d+) (%d) (%S+)$')
if token == ARGV[5] then return tonumber(code) end
local was_on, news = code ~= '3', nil
if ARGV[2] == '1' then
  if not was_on then
    news = 1
  elseif ARGV[4] ~= '0' and now - told >= tonumber(ARGV[4]) then
    news = 2
  end
elseif was_on then
  news = 3
end
if not news then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %d %s', now, news, ARGV[5]))
return news
