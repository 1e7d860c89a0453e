local function alarm(lane, timers, token, due)
  if due == math.huge then return end
  local first = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
  redis.call('ZADD', timers, 'LT', string.format('%.0f', due), lane)
  if not first[2] or due < tonumber(first[2]) then wake(token, 1) end
end

local function call_in(waiters, lanes, now)
  for _, lane in ipairs(redis.call('SMEMBERS', waiters)) do
    local timers, token = string.match(redis.call('HGET', lanes, lane) or '', '^([^\n]*)\n([^\n]*)')
    if timers then alarm(lane, timers, token, now) end
  end
end
