local function look(desk, ids, brought)
  local marks = {}
  for at, tie in ipairs(redis.call('HMGET', desk.ties, unpack(ids))) do
    brought[at + 2] = tie or ''
    marks[at] = '0'
  end
  return table.concat(marks)
end
