-- Whoever runs one job after the other has started them in their order, so that the order of the trip tells what has ended
-- before the last start; with threads each end is marked. Trips of which something stays held do not add up.
local function reserve(queue, picked, held, unstarted, unfinished, payloads, state, desk, in_order, in_lane)
  local bodies = redis.call('HMGET', payloads, unpack(picked))
  local ids, texts, lengths, fields, lost = {}, {}, {}, {}, {}
  for at, id in ipairs(picked) do
    local body = bodies[at]
    if body then
      local n = #ids + 1
      ids[n], texts[n], lengths[n] = id, body, #body
      fields[n * 2 - 1], fields[n * 2] = id, queue
    else
      lost[#lost + 1] = id
    end
  end
  local all, states, marks, brought = table.concat(ids), '', '', {'', table.concat(texts), in_lane and '{ }' or nil}
  if #ids > 0 then
    hold(held, fields)
    redis.call('RPUSH', unstarted, unpack(ids))
    if not in_order then
      redis.call('RPUSH', unfinished, unpack(ids))
    elseif redis.call('RPUSH', unfinished, '>' .. all) > 8 then
      -- Here _order
      local text = ''
      for _, id in ipairs(order_of_held(redis.call('LRANGE', unfinished, 0, -1), held, 1000)) do text = id .. text end
      redis.call('DEL', unfinished)
      redis.call('RPUSH', unfinished, '>' .. text)
    end
    if redis.call('EXISTS', state) == 1 then
      local known = redis.call('HMGET', state, unpack(ids))
      for at = 1, #ids do known[at] = known[at] or '' end
      states = table.concat(known, ';')
    end
    if desk then
      -- Here _look
      marks = look(desk, ids, held, brought, brought[3] or '')
    end
  end
  return all, table.concat(lengths, ','), states, table.concat(lost), marks, brought
end
