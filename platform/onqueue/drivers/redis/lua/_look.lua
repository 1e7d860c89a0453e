local function hold_claim(desk, key, id, held)
  -- Here _claims
  local claim = claim_of(desk, key)
  if claim.owner ~= id then return end
  claim.held = held
  write_claim(desk, key, claim)
end

local function are_alike(texts)
  for at = 2, #texts do
    if texts[at] ~= texts[1] then return false end
  end
  return true
end

-- What all have, be it no tie, is brought once.
local function look(desk, ids, held, brought, untied)
  local texts, marks, ties, batches = redis.call('HMGET', desk.ties, unpack(ids)), {}, {}, {}
  local alike = are_alike(texts)
  if alike then brought[3] = texts[1] or untied end
  for at, text in ipairs(texts) do
    if not alike then brought[at + 2] = text or untied end
    marks[at] = '0'
    -- Members of a batch have the same tie; what only lies in a lane or a chain needs no look.
    if text and not is_lane(text) and (ties[text] or has_part(text, '"b":', '"u":', '"x":')) then
      ties[text] = ties[text] or cjson.decode(text)
      local tie, id = ties[text], ids[at]
      if tie.b and not batches[tie.b] then batches[tie.b] = redis.call('HMGET', tie.b, 'cancelled_at', 'members') end
      local cancelled, ledger = unpack(tie.b and batches[tie.b] or {})
      if tie.x or cancelled and redis.call('HGET', ledger, id) ~= 'r' then marks[at] = '1' end
      if tie.u then hold_claim(desk, tie.u[1], id, held) end
    end
  end
  return table.concat(marks)
end
