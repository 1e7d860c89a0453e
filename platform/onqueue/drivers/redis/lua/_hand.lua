-- Includes _alive _clock
-- Whether a process listens on the channel: that ends with its connections, however it dies.
local function is_there(channel)
  local heard = redis.pcall('PUBSUB', 'NUMSUB', channel)
  return not heard.err and tonumber(heard[2]) > 0
end

-- Who waits for jobs of the queue gets this one at once, reserved as by a trip of its own: of several whoever came last.
-- Its keys stand in its offer and not among KEYS, as nobody knows them before: all are of one prefix with a hash tag, and so in one slot.
local function hand(offers, queue, id, payload, now)
  for _ = 1, 8 do
    local found = redis.call('ZPOPMAX', offers)
    local holder, idle, holders, paused, held, unstarted, unfinished, inbox =
      string.match(found[1] or '', '^(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)$')
    if not holder or tonumber(found[2]) <= now or redis.call('EXISTS', paused) == 1 then return false end
    if redis.call('HDEL', idle, holder) == 1 and alive(holders, holder) and is_there(inbox) then
      redis.call('HSET', held, id, queue)
      redis.call('RPUSH', unstarted, id)
      redis.call('RPUSH', unfinished, '>' .. id)
      redis.call('RPUSH', inbox, id .. queue .. '\n' .. payload)
      return true
    end
  end
  return false
end
