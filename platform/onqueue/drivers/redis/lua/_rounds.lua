-- Includes _rotate _lanes _one_round
-- Deficit round robin: the first lane gives as many jobs as its weight, then goes to the end of the ring.
local function weights_of(shares, lanes)
  if redis.call('EXISTS', shares) == 0 then return {}, true end
  return redis.call('HMGET', shares, 'left', unpack(lanes)), false
end

-- As a rule either all of them have more, or none has.
local function is_there(lane, there, count)
  if there == 0 or there == count then return there > 0 end
  return redis.call('EXISTS', lane) == 1
end

local function in_turns(ring, shares, room)
  local taken = {}
  while room > 0 do
    -- One more than can be needed: a lane that is alone need not ask how much it may give.
    local lanes = redis.call('LRANGE', ring, 0, room)
    if not lanes[1] then break end
    local weights, are_equal = weights_of(shares, lanes)
    local count, rests
    if are_equal and #lanes > 1 then
      count, room, rests = one_each(lanes, room, taken)
    else
      count, room, rests = by_weight(lanes, weights, room, taken)
    end
    local there, seen, left, passed, dropped = redis.call('EXISTS', unpack(lanes, 1, count)), 0, 0, {}, {}
    for at = 1, count do
      local is_on = is_there(lanes[at], there, count)
      left = is_on and rests[at] or 0
      if left > 0 then break end
      if is_on then passed[#passed + 1] = lanes[at] elseif weights[at + 1] then dropped[#dropped + 1] = lanes[at] end
      seen = at
    end
    rotate(ring, shares, seen, left, lanes, passed, dropped, weights[1])
  end
  return taken
end
