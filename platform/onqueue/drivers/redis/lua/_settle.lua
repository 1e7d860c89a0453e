-- Who runs one job after the other has ended all that its trip brought before this one, and all of earlier trips. So an
-- entry becomes shorter with each of these ends, and goes with the last one.
local function cut_off(unfinished, entry, id)
  local at = -1
  while entry and string.sub(entry, 1, 1) == '>' do
    local _, stop = string.find(entry, id, 2, true)
    if stop and stop < #entry then
      redis.call('LTRIM', unfinished, at, -1)
      redis.call('LSET', unfinished, 0, '>' .. string.sub(entry, stop + 1))
    elseif stop and at == -1 then
      redis.call('DEL', unfinished)
    elseif stop then
      redis.call('LTRIM', unfinished, at + 1, -1)
    end
    if stop then return end
    at = at - 1
    entry = redis.call('LINDEX', unfinished, at)
  end
end

local function settle(held, unstarted, unfinished, id)
  if redis.call('HDEL', held, id) == 0 then
    return false
  end
  redis.call('LREM', unstarted, 1, id)
  local last = redis.call('LINDEX', unfinished, -1)
  if last and string.sub(last, 1, 1) == '>' then
    cut_off(unfinished, last, id)
  else
    redis.call('LREM', unfinished, 1, id)
  end
  return true
end
