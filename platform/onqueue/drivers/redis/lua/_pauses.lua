local function set_pauses(paused, now)
  local all, left, first = redis.call('HGETALL', paused), 0, false
  for at = 1, #all, 2 do
    local ends = tonumber(string.match(all[at + 1], '^%d+') or 0)
    if string.match(all[at], '^[*!/]') or string.match(all[at], '^%l:') then
      if ends > 0 and ends <= now then
        redis.call('HDEL', paused, all[at])
      else
        left = left + 1
        if ends > 0 and (not first or ends < first) then first = ends end
      end
    end
  end
  if left == 0 then
    redis.call('DEL', paused)
    return false
  end
  local time = redis.call('TIME')
  local version = time[1] .. '.' .. time[2]
  redis.call('HSET', paused, 'version', version, 'ends', string.format('%.0f', first or 0))
  return version
end
