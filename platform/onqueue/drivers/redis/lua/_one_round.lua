-- What each of the first lanes gives, until there is no room: how many lanes these are, the room that is left, and what
-- each of them may still give.
-- Without weights each gives one.
local function one_each(lanes, room, taken)
  local rests, count = {}, math.min(#lanes, room)
  for at = 1, count do
    local id = redis.call('LPOP', lanes[at])
    if id then taken[#taken + 1], room = id, room - 1 end
    rests[at] = id and 0 or 1
  end
  return count, room, rests
end

local function by_weight(lanes, weights, room, taken)
  local rests, count = {}, 0
  while count < #lanes and room > 0 do
    count = count + 1
    local left = tonumber(#lanes == 1 and room or count == 1 and weights[1] or weights[count + 1] or 1)
    local ids = redis.call('LPOP', lanes[count], math.min(left, room)) or {}
    for _, id in ipairs(ids) do taken[#taken + 1] = id end
    room, rests[count] = room - #ids, left - #ids
  end
  return count, room, rests
end
