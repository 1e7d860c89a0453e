local function rotate(ring, shares, seen, left, lanes, passed, dropped, had_left)
  if left > 0 then redis.call('HSET', shares, 'left', left) end
  if left == 0 and had_left then dropped[#dropped + 1] = 'left' end
  if #dropped > 0 then redis.call('HDEL', shares, unpack(dropped)) end
  -- When all passed, they are the whole ring, and it is as before.
  if seen == 0 or #passed == #lanes then return end
  redis.call('LTRIM', ring, seen, -1)
  if #passed > 0 then redis.call('RPUSH', ring, unpack(passed)) end
end
