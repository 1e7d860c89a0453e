local function look(desk, ids, held, brought)
  -- Here _claims
  local marks = {}
  for at, text in ipairs(redis.call('HMGET', desk.ties, unpack(ids))) do
    local tie, id = text and cjson.decode(text) or {}, ids[at]
    brought[at + 2] = text or ''
    local cancelled, ledger = unpack(tie.b and redis.call('HMGET', tie.b, 'cancelled_at', 'members') or {})
    marks[at] = (tie.x or cancelled and redis.call('HGET', ledger, id) ~= 'r') and '1' or '0'
    local claim = tie.u and claim_of(desk, tie.u[1])
    if claim and claim.owner == id then
      claim.held = held
      write_claim(desk, tie.u[1], claim)
    end
  end
  return table.concat(marks)
end

local function left_over(desk)
  if not desk then return '' end
  local left = redis.call('EXISTS', desk.errands) + 2 * redis.call('EXISTS', desk.transfers)
  return left > 0 and left or ''
end
