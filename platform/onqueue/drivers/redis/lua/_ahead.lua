-- Use a rate for jobs that are held and come next, too: never so much of it that others would miss it.
local function use_ahead(quotas, now, most)
  local lasts = math.huge
  for _, quota in ipairs(quotas) do
    if quota.kind ~= 'r' then return 0, 0 end
    local ends, hits = window(quota, now)
    most, lasts = math.min(most, math.floor((quota.most - hits) / 8)), math.min(lasts, ends)
  end
  if most < 1 then return 0, 0 end
  for _, quota in ipairs(quotas) do hit(quota, now, most) end
  return most, lasts
end
