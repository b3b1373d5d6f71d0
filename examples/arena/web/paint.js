// How single things look. What is soft or costly is painted once and copied from then on.

const sprites = new Map();

/** A picture of its own, painted the first time: the brush gets half the width too. */
function sprite(key, width, height, brush) {
  let made = sprites.get(key);
  if (!made) {
    made = new OffscreenCanvas(width, height);
    brush(made.getContext("2d"), width / 2);
    sprites.set(key, made);
  }
  return made;
}

/** A light: bright in the middle, with a halo. */
export function glow(context, x, y, radius, hue) {
  const light = sprite(`glow ${hue}`, 96, 96, (brush, half) => {
    const shade = brush.createRadialGradient(half, half, 0, half, half, half);
    shade.addColorStop(0, `hsl(${hue} 100% 94%)`);
    shade.addColorStop(0.2, `hsl(${hue} 95% 74%)`);
    shade.addColorStop(0.34, `hsl(${hue} 95% 60% / 45%)`);
    shade.addColorStop(1, `hsl(${hue} 95% 55% / 0%)`);
    brush.fillStyle = shade;
    brush.fillRect(0, 0, half * 2, half * 2);
  });
  context.drawImage(light, x - radius, y - radius, radius * 2, radius * 2);
}

const FLOORS = {
  dust: { near: "#41304a", far: "#1c1830", line: "rgb(255 214 170 / 6%)", spot: 24, edge: "#dba469" },
  ice: { near: "#1d4560", far: "#0e1d38", line: "rgb(190 235 255 / 8%)", spot: 198, edge: "#8ad8ff" },
};

/** The ground with its grid and its walls. */
export function floor(context, { size, map }, view) {
  const colours = FLOORS[map] ?? FLOORS.dust;
  context.drawImage(ground(size, map, colours), 0, 0, size.x, size.y);
  grid(context, size, view, colours.line);
  context.beginPath();
  context.roundRect(-3, -3, size.x + 6, size.y + 6, 29);
  // A wide faint line below a thin bright one is a glow that costs nothing.
  for (const [width, alpha] of [[22, 0.1], [12, 0.16], [4, 0.95]]) {
    context.globalAlpha = alpha;
    context.lineWidth = width;
    context.strokeStyle = colours.edge;
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** Lit in the middle, with soft patches, so that one sees that one moves. Half as fine as the arena: nothing in it is sharp. */
function ground(size, map, { near, far, spot }) {
  return sprite(`ground ${map}`, size.x / 2, size.y / 2, (brush) => {
    const [width, height] = [size.x / 2, size.y / 2];
    brush.beginPath();
    brush.roundRect(0, 0, width, height, 13);
    brush.clip();
    const light = brush.createRadialGradient(width / 2, height / 2, 40, width / 2, height / 2, width * 0.62);
    light.addColorStop(0, near);
    light.addColorStop(1, far);
    brush.fillStyle = light;
    brush.fillRect(0, 0, width, height);
    for (let n = 1; n <= 120; n += 1) {
      // The R2 sequence (Roberts 2018): random to the eye, without clusters.
      const x = ((n * 0.7548776662) % 1) * width;
      const y = ((n * 0.569840291) % 1) * height;
      const radius = 12 + ((n * 37) % 110) / 2;
      const shade = brush.createRadialGradient(x, y, 0, x, y, radius);
      shade.addColorStop(0, `hsl(${spot} 60% 72% / 11%)`);
      shade.addColorStop(0.7, `hsl(${spot} 60% 66% / 6%)`);
      shade.addColorStop(1, `hsl(${spot} 60% 60% / 0%)`);
      brush.fillStyle = shade;
      brush.fillRect(x - radius, y - radius, radius * 2, radius * 2);
    }
  });
}

function grid(context, size, view, line) {
  const step = 80;
  const half = { x: view.width / view.scale / 2, y: view.height / view.scale / 2 };
  const from = (middle, reach) => Math.max(step, Math.ceil((middle - reach) / step) * step);
  context.strokeStyle = line;
  context.lineWidth = 2;
  context.beginPath();
  for (let x = from(view.x, half.x); x < Math.min(size.x, view.x + half.x); x += step) {
    context.moveTo(x, 8);
    context.lineTo(x, size.y - 8);
  }
  for (let y = from(view.y, half.y); y < Math.min(size.y, view.y + half.y); y += step) {
    context.moveTo(8, y);
    context.lineTo(size.x - 8, y);
  }
  context.stroke();
}

/** A player: a ball with eyes; a ring around oneself, a crown on the winner. Who is away is half there, and asleep. */
export function disc(context, player, { me, wins, now }) {
  const { drawX: x, drawY: y, drawRadius: radius, hue } = player;
  context.globalAlpha = player.away ? 0.42 : 1;
  if (me) glow(context, x, y, radius * 2.1, hue);
  const ball = sprite(`ball ${hue}`, 160, 160, (brush, half) => {
    const shade = brush.createRadialGradient(half * 0.72, half * 0.6, half * 0.1, half, half, half);
    shade.addColorStop(0, `hsl(${hue} 92% 78%)`);
    shade.addColorStop(0.55, `hsl(${hue} 80% 59%)`);
    shade.addColorStop(1, `hsl(${hue} 72% 39%)`);
    brush.fillStyle = shade;
    brush.beginPath();
    brush.arc(half, half, half - 1, 0, Math.PI * 2);
    brush.fill();
  });
  context.fillStyle = "rgb(0 0 0 / 28%)";
  context.beginPath();
  context.ellipse(x, y + radius * 0.22, radius * 1.03, radius * 0.98, 0, 0, Math.PI * 2);
  context.fill();
  context.drawImage(ball, x - radius, y - radius, radius * 2, radius * 2);
  if (me) {
    context.lineWidth = 3;
    context.strokeStyle = "#fff";
    context.beginPath();
    context.arc(x, y, radius + 5, 0, Math.PI * 2);
    context.stroke();
  }
  eyes(context, player, now);
  if (wins) crown(context, x, y - radius * 0.86, radius * 0.62);
  context.globalAlpha = 1;
}

function eyes(context, { id, away, drawX, drawY, drawRadius: radius, lookX, lookY }, now) {
  const blinks = away || (now + id * 977) % 3900 < 130;
  for (const side of [-1, 1]) {
    const x = drawX + side * radius * 0.34 + lookX * radius * 0.2;
    const y = drawY - radius * 0.1 + lookY * radius * 0.22;
    context.fillStyle = "#fff";
    context.beginPath();
    context.ellipse(x, y, radius * 0.22, radius * (blinks ? 0.04 : 0.27), 0, 0, Math.PI * 2);
    context.fill();
    if (blinks) continue;
    context.fillStyle = "#14172b";
    context.beginPath();
    context.arc(x + lookX * radius * 0.09, y + lookY * radius * 0.11, radius * 0.125, 0, Math.PI * 2);
    context.fill();
  }
}

function crown(context, x, y, size) {
  context.fillStyle = "#ffd257";
  context.strokeStyle = "#8a5a00";
  context.lineWidth = 1.5;
  context.beginPath();
  const points = [[-1, 0], [-1.1, -0.9], [-0.5, -0.42], [0, -1.15], [0.5, -0.42], [1.1, -0.9], [1, 0]];
  for (const [dx, dy] of points) context.lineTo(x + dx * size, y + dy * size);
  context.closePath();
  context.fill();
  context.stroke();
}

/** The name below a disc, of one size on the screen whatever the view's. */
export function label(context, player, me, scale) {
  const size = 13 / scale;
  context.font = `${me ? 750 : 600} ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.lineJoin = "round";
  context.lineWidth = size * 0.28;
  context.strokeStyle = "rgb(10 12 26 / 80%)";
  context.fillStyle = me ? "#fff" : "rgb(233 236 248 / 86%)";
  const y = player.drawY + player.drawRadius + size * 1.35 + (me ? 4 : 0);
  context.strokeText(player.name, player.drawX, y);
  context.fillText(player.name, player.drawX, y);
  if (!player.away) return;
  context.font = `italic 500 ${size * 0.9}px system-ui, sans-serif`;
  context.fillStyle = "#fbbf24";
  context.strokeText("away", player.drawX, y + size * 1.15);
  context.fillText("away", player.drawX, y + size * 1.15);
}
