local function migrate(ready, delayed, now)
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) <= now then
    local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)
    redis.call('ZREM', delayed, unpack(due))
    to_ready(due, ready, false)
    first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  end
  return first[2] and tonumber(first[2])
end

local function paused_until(paused, queue, now)
  local all = redis.call('HMGET', paused, '/' .. queue, '*')
  local latest = false
  for at = 1, 2 do
    local moment = all[at] and tonumber(string.match(all[at], '^%d+'))
    if moment == 0 then return 0 end
    if moment and moment > now then latest = math.max(latest or 0, moment) end
  end
  return latest
end

local function pick(first_key, queues, want, paused, now, gates)
  local soonest = -1
  for at = 1, queues do
    local ready, delayed = KEYS[first_key + at * 3 - 3], KEYS[first_key + at * 3 - 2]
    local next_due = paused and paused_until(paused, ARGV[5 + at], now)
    if not next_due then
      next_due = migrate(ready, delayed, now)
      local most, timers = at == 1 and want or 1, gates and KEYS[gates.first + at - 1]
      local ids = gates and fetch(ready, timers, most, now, gates) or redis.call('LPOP', ready, most)
      next_due = gates and sooner(next_due, timers) or next_due
      if ids and #ids > 0 then return at, ids, next_due or -1 end
    end
    if next_due and next_due > 0 and (soonest < 0 or next_due < soonest) then
      soonest = next_due
    end
  end
  return 0, {}, soonest
end
