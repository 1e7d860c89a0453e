-- A name is looked for when it is first asked for: most calls need few of them.
local function desk_of(text)
  local lines = '\n' .. text
  return setmetatable({}, {__index = function(desk, name)
    desk[name] = string.match(lines, '\n' .. name .. ' ([^\n]+)')
    return desk[name]
  end})
end

local function desk_if(ties, text)
  return redis.call('EXISTS', ties) == 1 and desk_of(text)
end

-- Whether a tie is a lane and nothing else, by the blank that `tie_text` writes and cjson never does.
local function is_lane(text)
  return string.byte(text, 2) == 32
end

-- Whether a tie has one of these parts, by plain searches: a pattern would cost as much as decoding it.
local function has_part(text, one, two, three)
  return string.find(text, one, 1, true) or string.find(text, two, 1, true) or string.find(text, three, 1, true)
end
