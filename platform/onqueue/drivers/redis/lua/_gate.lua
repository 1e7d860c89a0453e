local function opens(quota, id, now, desk)
  if quota.kind == 'p' then
    local ends = tonumber(string.match(redis.call('HGET', quota.count, quota.field) or '', '^%d+') or -1)
    if ends == 0 then return math.huge end
    return ends > now and ends
  elseif quota.kind == 's' then
    local open = redis.call('HEXISTS', quota.count, id) == 1 or has_free_slot(quota, desk)
    return not open and math.huge
  end
  local ends, hits = window_of(quota, now)
  return hits >= quota.most and ends
end

local function shut_until(quotas, id, now, desk)
  local latest = false
  for _, quota in ipairs(quotas) do
    local at = opens(quota, id, now, desk)
    if at and (not latest or at > latest) then latest = at end
  end
  return latest
end

local function use_rates(quotas, now)
  local lasts = now + 86400000
  for _, quota in ipairs(quotas) do
    if quota.kind == 'r' or quota.kind == 'm' then
      lasts = math.min(lasts, count_of(quota, now))
    elseif quota.kind ~= 's' then
      lasts = now
    end
  end
  return lasts
end
