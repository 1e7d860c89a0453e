-- Includes _lanes
-- Back to the front, each into its lane if it has one; a lane that had run empty queues up behind the others.
local function to_front(ids, ready, ties)
  local texts = redis.call('EXISTS', ties) == 1 and redis.call('HMGET', ties, unpack(ids)) or {}
  local plain, lanes, known = {}, {}, {}
  for at = #ids, 1, -1 do
    local text = texts[at]
    local tie = text and string.find(text, '"f":', 1, true) and cjson.decode(text)
    local into = plain
    if tie then
      local lane = tie.f[1]
      if not known[lane] then
        known[lane] = {tie = tie, ids = {}}
        lanes[#lanes + 1] = known[lane]
      end
      into = known[lane].ids
    end
    into[#into + 1] = ids[at]
  end
  if #plain > 0 then redis.call('LPUSH', ready, unpack(plain)) end
  for _, one in ipairs(lanes) do
    local lane, ring, shares = unpack(one.tie.f)
    if redis.call('LPUSH', lane, unpack(one.ids)) == #one.ids then
      queue_up(ring, lane)
      if one.tie.w then redis.call('HSET', shares, lane, one.tie.w) end
    end
  end
end
