local function quotas_of(text)
  local quotas = {}
  for line in string.gmatch(text, '[^\n]+') do
    local kind, most, span, count, waiters, field = string.match(line, '^(%l) (%d+) (%d+) (%S+) (%S+) ?(%S*)$')
    if kind then
      quotas[#quotas + 1] =
        {kind = kind, most = tonumber(most), span = tonumber(span), count = count, waiters = waiters, field = field}
    end
  end
  return quotas
end

local function window(quota, now)
  local ends, hits = string.match(redis.call('GET', quota.count) or '', '^(%d+) (%d+)$')
  ends, hits = tonumber(ends or 0), tonumber(hits or 0)
  -- An end farther away than a whole window comes from a clock that jumped.
  if ends <= now or ends > now + quota.span then return now + quota.span, 0 end
  return ends, hits
end

local function hit(quota, now, count)
  local ends, hits = window(quota, now)
  redis.call('DEL', quota.count)
  redis.call('SET', quota.count, string.format('%.0f %d', ends, math.max(0, hits + count)), 'PX', string.format('%.0f', ends - now))
  return ends
end
