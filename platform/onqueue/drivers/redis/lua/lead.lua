-- Take, renew or (with a lease of 0) give up the leadership among the processes of a schedule.
-- KEYS[1] leader   {onqueue:redis}:schedule:leader
-- KEYS[2] vacancy  {onqueue:redis}:schedule:vacancy
-- ARGV[1] token    of the process that asks
-- ARGV[2] offset   ms added to the server's clock (tests)
-- ARGV[3] lease    ms, 0 gives up
-- ARGV[4] name     of the process, for people
-- Returns 1 when it leads, now in ms, the ms left to the one that leads, its name
-- Flags allow-oom
-- Includes _clock _wake
local now = now_ms(ARGV[2])
local found = redis.call('HMGET', KEYS[1], 'token', 'until', 'name')
local left = tonumber(found[2] or 0) - now
if found[1] and found[1] ~= ARGV[1] and left > 0 then
  return {0, now, left, found[3]}
end
if ARGV[3] == '0' then
  if found[1] == ARGV[1] then
    redis.call('DEL', KEYS[1])
    wake(KEYS[2], 1)
  end
  return {0, now, 0, ''}
end
-- Removing first lets the script pass on a full server older than 7.0.
redis.call('DEL', KEYS[1], KEYS[2])
local until_ms = string.format('%.0f', now + ARGV[3])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'until', until_ms, 'name', ARGV[4])
return {1, now, tonumber(ARGV[3]), ARGV[4]}
