local function line_up(due, ready, desk)
  local plain = due
  if desk then
    -- Here _lanes
    plain = {}
    for at, text in ipairs(redis.call('HMGET', desk.ties, unpack(due))) do
      local tie = text and cjson.decode(text) or {}
      if tie.f then enter_lane(due[at], tie.f, tie.w) else plain[#plain + 1] = due[at] end
    end
  end
  if #plain > 0 then to_ready(plain, ready, false) end
end

local function migrate(ready, delayed, now, desk)
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) <= now then
    local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)
    redis.call('ZREM', delayed, unpack(due))
    line_up(due, ready, desk)
    first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  end
  return first[2] and tonumber(first[2])
end
