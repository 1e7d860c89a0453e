local function paused_until(paused, queue, now)
  local all = redis.call('HMGET', paused, '/' .. queue, '*', '!')
  local latest = false
  for at = 1, 3 do
    local moment = all[at] and tonumber(string.match(all[at], '^%d+'))
    if moment == 0 then return 0 end
    if moment and moment > now then latest = math.max(latest or 0, moment) end
  end
  return latest
end

local function share_out(ready, ring, shares, most, fair)
  -- Here _fair
  return fair_jobs(ready, ring, shares, most, fair)
end

local function pick(first_key, names, queues, want, paused, now, gates, desk, fair, payloads, places)
  local soonest, rings = -1, first_key + queues * 4 + 4
  for at = 1, queues do
    local ready, delayed = KEYS[first_key + at * 3 - 3], KEYS[first_key + at * 3 - 2]
    local next_due = paused and paused_until(paused, ARGV[names + at - 1], now)
    if not next_due then
      next_due = migrate(ready, delayed, now, desk, payloads, places, ARGV[names + at - 1])
      local most, timers = at == 1 and want or 1, gates and KEYS[gates.first + at - 1]
      local ring = KEYS[rings + at - 1]
      local ids = redis.call('EXISTS', ring) == 1
        and share_out(ready, ring, KEYS[rings + queues + at - 1], most, not gates and fair)
      local in_lane = ids and true
      ids = ids or (gates and fetch(ready, timers, most, now, gates) or redis.call('LPOP', ready, most))
      next_due = gates and sooner(next_due, timers) or next_due
      if ids and #ids > 0 then return at, ids, next_due or -1, in_lane end
    end
    if next_due and next_due > 0 and (soonest < 0 or next_due < soonest) then
      soonest = next_due
    end
  end
  return 0, {}, soonest
end
