local function line_up(due, ready, desk, payloads, told)
  local plain = due
  if desk or told then
    -- Here _front
    local texts = desk and redis.call('HMGET', desk.ties, unpack(due)) or {}
    local bodies = told and redis.call('HMGET', payloads, unpack(due))
    plain = {}
    for at, id in ipairs(due) do
      local place, weight = lane_in(texts[at])
      if not place and told then place, weight = lane_told(told, bodies[at]) end
      if place then enter_lane(id, place, weight) else plain[#plain + 1] = id end
    end
  end
  if #plain > 0 then to_ready(plain, ready, false) end
end

local function migrate(ready, delayed, now, desk, payloads, fair, queue)
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) <= now then
    -- Here _told
    local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)
    redis.call('ZREM', delayed, unpack(due))
    line_up(due, ready, desk, payloads, told_of(fair, queue))
    first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  end
  return first[2] and tonumber(first[2])
end
