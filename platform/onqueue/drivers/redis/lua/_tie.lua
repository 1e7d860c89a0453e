local function left_over(desk)
  if not desk then return '' end
  local left = redis.call('EXISTS', desk.errands) + 2 * redis.call('EXISTS', desk.transfers)
  return left > 0 and left or ''
end
