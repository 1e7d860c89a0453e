-- Includes _lanes _told
local function lane_in(text)
  local tie = text and string.find(text, '"f":', 1, true) and cjson.decode(text)
  if tie then return tie.f, tie.w end
end

-- Back to the front, each into its lane if it has one; a lane that had run empty queues up behind the others.
local function to_front(ids, ready, ties, payloads, told)
  local texts = redis.call('EXISTS', ties) == 1 and redis.call('HMGET', ties, unpack(ids)) or {}
  local bodies = told and redis.call('HMGET', payloads, unpack(ids))
  local plain, lanes, known = {}, {}, {}
  for at = #ids, 1, -1 do
    local into, place, weight = plain, lane_in(texts[at])
    if not place and told then place, weight = lane_told(told, bodies[at]) end
    if place then
      local lane = place[1]
      if not known[lane] then
        known[lane] = {place = place, weight = weight, ids = {}}
        lanes[#lanes + 1] = known[lane]
      end
      into = known[lane].ids
    end
    into[#into + 1] = ids[at]
  end
  if #plain > 0 then redis.call('LPUSH', ready, unpack(plain)) end
  for _, one in ipairs(lanes) do
    local lane, ring, shares = unpack(one.place)
    if redis.call('LPUSH', lane, unpack(one.ids)) == #one.ids then
      queue_up(ring, lane)
      if one.weight then redis.call('HSET', shares, lane, one.weight) end
    end
  end
end
