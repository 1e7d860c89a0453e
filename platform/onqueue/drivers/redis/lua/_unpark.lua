local function unpark(lane, parked, payloads, parking, front)
  local woken = false
  for _ = 1, 100 do
    local id = redis.call('LPOP', lane)
    if not id then break end
    local place = redis.call('HGET', parked, id)
    redis.call('HDEL', parked, id)
    if place then
      local ready, token, lodging = string.match(place, '([^\n]*)\n([^\n]*)\n([^\n]*)\n')
      redis.call('SREM', lodging, id)
      if redis.call('HEXISTS', payloads, id) == 1 then
        to_ready({id}, ready, front)
        wake(token, 1)
        woken = id
        break
      end
    end
  end
  if redis.call('EXISTS', lane) == 0 then
    redis.call('SREM', parking, lane)
  end
  return woken
end
