local function desk_of(text)
  local desk = {}
  for name, key in string.gmatch(text, '(%l+) ([^\n]+)') do desk[name] = key end
  return desk
end

local function desk_if(ties, text)
  return redis.call('EXISTS', ties) == 1 and desk_of(text)
end
