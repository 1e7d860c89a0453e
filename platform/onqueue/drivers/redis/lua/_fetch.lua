local function gates_of(from, count, holders, payloads, holder)
  if redis.call('EXISTS', unpack(KEYS, from, from + count - 1)) == 0 then return false end
  local held_slots, parked, lanes, granted = unpack(KEYS, from + count, from + count + 3)
  return {
    first = from, holders = holders, payloads = payloads, holder = holder,
    held_slots = held_slots, parked = parked, lanes = lanes, granted = granted, slotted = '',
  }
end

-- Jobs from lanes and those that are ready take turns in being first, so that neither starves.
local function fetch(ready, timers, most, now, gates)
  -- Here _turnstile
  local ids = now % 2 == 0 and pull(timers, most, now, gates) or {}
  if #ids < most then
    for _, id in ipairs(redis.call('LPOP', ready, most - #ids) or {}) do ids[#ids + 1] = id end
  end
  if now % 2 == 1 and #ids < most then
    for _, id in ipairs(pull(timers, most - #ids, now, gates)) do ids[#ids + 1] = id end
  end
  return ids
end

local function sooner(next_due, timers)
  local first = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
  local due = first[2] and tonumber(first[2])
  if due and (not next_due or due < next_due) then return due end
  return next_due
end
