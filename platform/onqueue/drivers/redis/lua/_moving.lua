-- The last `most` starts stand in a list, the newest first; a clock that jumped back opens nothing early.
local function moving(quota, now)
  local oldest = tonumber(redis.call('LINDEX', quota.count, quota.most - 1) or nil)
  local ends = oldest and math.min(oldest, now) + quota.span or 0
  return ends, ends > now and quota.most or 0
end

local function window_of(quota, now)
  if quota.kind == 'm' then return moving(quota, now) end
  return window(quota, now)
end

local function count_of(quota, now)
  if quota.kind ~= 'm' then return hit(quota, now, 1) end
  -- Room is made first: a full server older than 7.0 then takes the rest, too.
  if quota.most > 1 then redis.call('LTRIM', quota.count, 0, quota.most - 2) else redis.call('DEL', quota.count) end
  redis.call('LPUSH', quota.count, string.format('%.0f', now))
  redis.call('PEXPIRE', quota.count, quota.span)
  return now + quota.span
end
