-- What a holder still has of what it runs one after the other, the last first, at most so many.
local function order_of_held(entries, held, most)
  local there, ids, all = {}, {}, redis.call('HKEYS', held)
  for _, id in ipairs(all) do there[id] = true end
  most = math.min(most, #all)
  for at = #entries, 1, -1 do
    local entry = entries[at]
    for from = #entry - 31, 1, -32 do
      if #ids == most then return ids end
      local id = string.sub(entry, from, from + 31)
      if there[id] then
        there[id] = nil
        ids[#ids + 1] = id
      end
    end
  end
  return ids
end
