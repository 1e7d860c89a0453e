-- Of few lanes, whole rounds at once: in the same order as one after the other, with fewer calls.
local function whole_rounds(ring, shares, room)
  local lanes, sum, sizes = redis.call('LRANGE', ring, 0, -1), 0, {}
  local weights = weights_of(shares, lanes)
  for at = 1, #lanes do
    sizes[at] = tonumber(weights[at + 1] or 1)
    sum = sum + sizes[at]
  end
  local rounds = #lanes == 1 and room / sum or math.floor(room / sum)
  if weights[1] or rounds < 1 then return false end
  local stacks, taken, longest = {}, {}, 0
  for at, lane in ipairs(lanes) do
    local ids = redis.call('LPOP', lane, math.floor(rounds * sizes[at] + 0.5)) or {}
    if redis.call('EXISTS', lane) == 0 then leave_ring(ring, shares, lane) end
    stacks[at], longest = ids, math.max(longest, math.ceil(#ids / sizes[at]))
  end
  if #lanes == 1 then return stacks[1] end
  for round = 0, longest - 1 do
    for at, ids in ipairs(stacks) do
      for nth = round * sizes[at] + 1, math.min(#ids, (round + 1) * sizes[at]) do taken[#taken + 1] = ids[nth] end
    end
  end
  return taken
end
