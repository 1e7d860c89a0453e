local function version_of_pauses(paused, now)
  local known = redis.call('HMGET', paused, 'version', 'ends')
  local ends = tonumber(known[2] or 0)
  if ends > 0 and ends <= now then
    -- Here _pauses
    return set_pauses(paused, now)
  end
  return known[1]
end
