-- Includes _alarm _slots _quota _free_slot _moving _gate
local function step_out(id, desk)
  local lodging = string.match(redis.call('HGET', desk.parked, id) or '', '^[^\n]*\n[^\n]*\n([^\n]*)')
  redis.call('HDEL', desk.parked, id)
  if lodging then redis.call('SREM', lodging, id) end
  return redis.call('HEXISTS', desk.payloads, id) == 1
end

local function retime(lane, timers, quotas, id, due, desk)
  redis.call('ZREM', timers, lane)
  if not id then
    redis.call('HDEL', desk.lanes, lane)
    for _, quota in ipairs(quotas) do redis.call('SREM', quota.waiters, lane) end
  elseif due ~= math.huge then
    redis.call('ZADD', timers, string.format('%.0f', due), lane)
  end
end

local function pull(timers, most, now, desk)
  local picked = {}
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, 20)) do
    local quotas, due, id = quotas_of(redis.call('HGET', desk.lanes, lane) or ''), now, redis.call('LINDEX', lane, 0)
    while id and #picked < most do
      due = shut_until(quotas, id, now, desk)
      if due then break end
      redis.call('LPOP', lane)
      if step_out(id, desk) then
        redis.call('ZADD', desk.granted, string.format('%.0f', use_rates(quotas, now)), id .. ' ' .. lane)
        if take_slots(quotas, id, desk.holder, desk.held_slots) then desk.slotted = desk.slotted .. id end
        picked[#picked + 1] = id
      end
      id, due = redis.call('LINDEX', lane, 0), now
    end
    retime(lane, timers, quotas, id, due, desk)
    if #picked == most then break end
  end
  redis.call('ZREMRANGEBYSCORE', desk.granted, '-inf', now - 3600000)
  if picked[1] then redis.call('PEXPIRE', desk.granted, 90000000) end -- no grant lasts longer
  return picked
end
