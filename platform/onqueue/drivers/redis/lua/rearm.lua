-- Set a timer for lanes of jobs that could go on and that nobody would call in, and drop empty lanes.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] payloads    {onqueue:redis}:payloads
-- KEYS[3] lanes       {onqueue:redis}:lanes
-- ARGV[1] offset      ms added to the clock of the server (tests)
-- Returns how many timers were set
-- Flags allow-oom
-- Includes _alive _clock _wake _alarm _quota _free_slot _moving _gate
local now, set = now_ms(ARGV[1]), 0
for _, lane in ipairs(redis.call('HRANDFIELD', KEYS[3], 100)) do
  local sign = redis.call('HGET', KEYS[3], lane)
  local timers, token = string.match(sign, '^([^\n]*)\n([^\n]*)')
  local quotas, first = quotas_of(sign), redis.call('LINDEX', lane, 0)
  if not first then
    redis.call('HDEL', KEYS[3], lane)
    redis.call('ZREM', timers, lane)
    for _, quota in ipairs(quotas) do redis.call('SREM', quota.waiters, lane) end
  elseif not redis.call('ZSCORE', timers, lane) then
    local due = shut_until(quotas, first, now, {holders = KEYS[1], payloads = KEYS[2]}) or now
    if due ~= math.huge then
      -- A removal first lets the script pass on a full server older than 7.0.
      redis.call('ZREM', timers, lane)
      alarm(lane, timers, token, due)
      set = set + 1
    end
  end
end
return set
